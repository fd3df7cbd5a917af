"""Microcontrollers: the firmware, its boards and the emulators that run it."""
