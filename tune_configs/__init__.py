"""The search files that travel with Fleet: paper, default and quick. Read by `fleet.search_config`."""
