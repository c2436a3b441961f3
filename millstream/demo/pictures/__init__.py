"""Flat pictures of products, drawn from category, brand and size: the same item always gives the same bytes."""
