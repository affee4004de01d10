"""DATABASES: what each of them makes us do, as thin as Django lets it be.

Knows Django and lib; no model, no setting.
"""
