"""`python -m responder` is `clopus`."""

from responder.cli import main

main()
