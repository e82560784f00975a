"""The platform Toy, as a package of a third party: of the program it imports `scalesync.platforms.plugin` alone."""
