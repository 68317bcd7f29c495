"""What the machine tells of itself while somebody looks: events, their names, who gets them."""
