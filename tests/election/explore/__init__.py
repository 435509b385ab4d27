"""Every state that two or three Routers can get into, by every order of what can happen: an explicit-state search.

What moves is the real :class:`~vrrplib.election.router.Router`. docs/exploration.md says what was found, and
``python -m tests.election.explore --help`` how to run it.

What can happen, in any order: a router starts, crashes, starts anew, is shut down, or gets another priority; the
first frame on a link is delivered or lost; a timer that is due fires; time goes on to the next instant at which
something is due. Each link (from one router to one other) keeps the order of its frames, holds at most two, and
delivers each at most ``DELAY`` after it was sent. So a frame that was sent before a timer is due may come before it
and, if the delay allows, after it; and whoever is due at the same instant goes first or last.

States that differ by a shift of time alone are one: all times are counted from now, in ticks of 1/256 s, which is
exact, because with intervals of one second skews are whole ticks, and so is the delay. The abstraction is that
things happen only when something is due (a timer, or a frame that is as late as it may be) or at once after. It
makes the number of states finite, and is what a counter-example needs: each begins with some order of events.

The search goes by the number of faults (loss, crash, shutdown, change of priority), and within it by steps, so the
first schedule that is found for a thing is its shortest. What a Router does in one local state is asked of it once.
"""
