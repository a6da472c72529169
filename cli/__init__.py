"""The operator's command, ``email-handler``, and its demo: arguments, calls and output; one module for each command.
What a message means or becomes is decided in ``email_handler``; the emulated AWS is in ``cloud``."""
