import signal

from hypothesis import settings

# A property says what is true, not how fast: a busy machine must not fail it.
settings.register_profile("vrrplib", deadline=None)
settings.load_profile("vrrplib")

# A shell without job control has SIGINT ignored by what it starts in the background, and by all that this starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
