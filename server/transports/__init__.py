"""Ways to a fleet: in this process, or over MQTT; one file each."""
