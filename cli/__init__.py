"""The operator's command, ``email-handler``, and its demo: arguments, calls, output. ``main`` lists the commands.
What a message means or becomes is decided in ``email_handler``; the emulated AWS is in ``cloud``."""
