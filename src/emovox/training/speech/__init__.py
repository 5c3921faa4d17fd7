"""Speech models: encoder, backbone, rooms, the head's fit."""
