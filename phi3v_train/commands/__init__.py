"""The subcommands of `phi3v-train`, each thin over the module that does its work."""
