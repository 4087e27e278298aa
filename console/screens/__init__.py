"""One module per screen. A screen reads the API, shows what came, and asks for what a person decides."""
