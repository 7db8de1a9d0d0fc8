"""Cloud jobs: specs that run one ``oraclezoo`` command on Kubernetes, Vertex AI or Cloud Run.

The modules render text for the user to read and submit. They contact no service.
"""
