"""The demo shop: drawn pictures, simulated shoppers, the flow of `millstream demo`, the first-five-minutes script."""
