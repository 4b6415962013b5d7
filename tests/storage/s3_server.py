"""An S3 server on loopback (moto) that can be told to be overloaded, and to mind who asks."""

import json
import threading

import boto3
import requests
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

BUCKET, REGION = "agser-tests", "eu-west-1"
_OVERLOADED = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>SlowDown</Code>'
    b"<Message>Please reduce your request rate.</Message></Error>"
)
_EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


class Server:
    """refuse: how many of the next requests are answered 503. every: beyond those, each n-th one is. seen: requests."""

    def __init__(self):
        self.refuse, self.every, self.seen, self.refused = 0, 0, 0, 0
        self._lock, self._moto = threading.Lock(), DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        requests.post(f"{self.url}/moto-api/reset", timeout=10).raise_for_status()  # moto's state is the process'
        configuration = {"LocationConstraint": REGION}
        self.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration=configuration)

    def _answer(self, environ: dict, start_response):
        with self._lock:
            self.seen += 1
            overloaded = self.refuse > 0 or (self.every and self.seen % self.every == 0)
            self.refuse, self.refused = max(0, self.refuse - 1), self.refused + bool(overloaded)
        if overloaded:
            start_response("503 Slow Down", [("Content-Type", "application/xml")])
            return [b"" if environ["REQUEST_METHOD"] == "HEAD" else _OVERLOADED]
        return self._moto(environ, start_response)

    def client(self, service: str, key: str = "anyone", secret: str = "anything"):
        keys = {"aws_access_key_id": key, "aws_secret_access_key": secret}
        return boto3.client(service, endpoint_url=self.url, region_name=REGION, **keys)

    def environment(self, key: str = "anyone", secret: str = "anything") -> dict[str, str]:
        """What a user of this server has in the environment."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def new_key(self) -> tuple[str, str]:
        """The access key of a user who may do everything, and its secret."""
        iam, name = self.client("iam"), f"user-{self.seen}"
        iam.create_user(UserName=name)
        iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=json.dumps(_EVERYTHING))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return key["AccessKeyId"], key["SecretAccessKey"]

    def delete_key(self, key: str, key_of_asker: str, secret: str) -> None:
        """Revoke an access key, as a user who may."""
        iam = self.client("iam", key_of_asker, secret)
        iam.delete_access_key(UserName=iam.get_access_key_last_used(AccessKeyId=key)["UserName"], AccessKeyId=key)

    def mind_who_asks(self, minds: bool = True) -> None:
        """From now on unknown keys are refused, and known ones get what their policy allows."""
        requests.post(f"{self.url}/moto-api/reset-auth", data="0" if minds else "inf", timeout=10).raise_for_status()

    def keys(self) -> list[str]:
        """The names of all objects."""
        pages = self.client("s3").get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def stop(self) -> None:
        self._server.shutdown()
