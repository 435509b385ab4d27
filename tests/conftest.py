from hypothesis import settings

# A property says what is true, not how fast: a busy machine must not fail it.
settings.register_profile("vrrplib", deadline=None)
settings.load_profile("vrrplib")
