"""Cloud jobs: specs that run one ``oraclezoo`` command on Kubernetes, Vertex AI or Cloud Run.

The modules generate text for the user to read and submit. They do not contact any service.
"""
