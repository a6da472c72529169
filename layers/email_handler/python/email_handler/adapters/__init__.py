"""AWS behind the ports: each adapter takes ready boto3 clients and turns AWS's errors into ours.

Not here: any decision about a message, the environment, or creating clients (bootstrap does both).
"""
