"""The only door for requests that dothi sends to other machines."""
