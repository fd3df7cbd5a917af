"""The ground floor: what runs on a device, or defines one."""
