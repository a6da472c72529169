"""The local cloud: an emulator of AWS, SES's door in and door out, and the project's own template deployed to it."""
