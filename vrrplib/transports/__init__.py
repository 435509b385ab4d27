"""How Ethernet frames enter and leave."""
