"""Surveys of any size on one machine or many: plan, measure part by part, resume."""
