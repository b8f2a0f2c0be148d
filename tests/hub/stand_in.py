"""The part of the Hugging Face Hub's HTTP interface that saving and loading a model use."""

import base64
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import yaml

_CREATE = re.compile(r"/api/repos/create")
_PREUPLOAD = re.compile(r"/api/models/(?P<repo>[^/]+/[^/]+)/preupload/\w+")
_COMMIT = re.compile(r"/api/models/(?P<repo>[^/]+/[^/]+)/commit/\w+")
_INFO = re.compile(r"/api/models/(?P<repo>[^/]+/[^/]+)(/revision/\w+)?")
_TREE = re.compile(r"/api/models/(?P<repo>[^/]+/[^/]+)/tree/\w+")
_FILE = re.compile(r"/(?P<repo>[^/]+/[^/]+)/resolve/\w+/(?P<path>.+)")


class HubStandIn:
    """Keeps repositories in memory, on a free port of 127.0.0.1, until closed.

    Attributes:
        repositories: content of files by path, by name of the repository.
        agents: user agents of the requests.
    """

    def __init__(self):
        self.repositories, self.agents = {}, set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.hub = self
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def commit_of(self, repo):
        """Returns the hash of the content of a repository."""
        content = b"".join(k.encode() + v for k, v in sorted(self.repositories[repo].items()))
        return hashlib.sha1(content).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self._body()
        if _CREATE.fullmatch(self._path()):
            request = json.loads(body)
            owner = request.get("organization") or "user"
            repo = f"{owner}/{request['name']}"
            self._hub.repositories.setdefault(repo, {})
            self._send({"url": f"{self._hub.address}/{repo}", "id": "1"})
        elif self._path() == "/api/validate-yaml":
            card = json.loads(body)["content"]
            metadata = yaml.safe_load(card.split("---")[1])
            missing = {"license", "library_name", "pipeline_tag"} - metadata.keys()
            self._send({"errors": [{"message": name} for name in missing], "warnings": []})
        elif match := _PREUPLOAD.fullmatch(self._path()):
            files = json.loads(body)["files"]
            regular = {"uploadMode": "regular", "shouldIgnore": False}
            self._send({"files": [{"path": one["path"], **regular} for one in files]})
        elif match := _COMMIT.fullmatch(self._path()):
            files = self._hub.repositories[match["repo"]]
            for line in body.splitlines():
                operation = json.loads(line)
                if operation["key"] == "file":
                    value = operation["value"]
                    files[value["path"]] = base64.b64decode(value["content"])
            commit = self._hub.commit_of(match["repo"])
            url = f"{self._hub.address}/{match['repo']}/commit/{commit}"
            self._send({"success": True, "commitOid": commit, "commitUrl": url})
        else:
            self._refuse()

    def do_GET(self):
        hub, path = self._hub, self._path()
        match = _TREE.fullmatch(path) or _INFO.fullmatch(path) or _FILE.fullmatch(path)
        if match is None or match["repo"] not in hub.repositories:
            self._refuse()
            return
        files, commit = hub.repositories[match["repo"]], hub.commit_of(match["repo"])
        if _TREE.fullmatch(path):
            self._send(
                [
                    {"type": "file", "path": name, "size": len(content), "oid": _etag(content)}
                    for name, content in files.items()
                ]
            )
        elif _INFO.fullmatch(path):
            siblings = [{"rfilename": name} for name in files]
            self._send({"id": match["repo"], "sha": commit, "siblings": siblings})
        elif match["path"] in files:
            content = files[match["path"]]
            headers = {"ETag": f'"{_etag(content)}"', "X-Repo-Commit": commit}
            self._send_bytes(content, "application/octet-stream", headers)
        else:
            self._refuse("EntryNotFound")

    def do_HEAD(self):
        self.do_GET()

    @property
    def _hub(self):
        return self.server.hub

    def _path(self):
        return self.path.partition("?")[0]

    def _body(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _send(self, document):
        self._send_bytes(json.dumps(document).encode(), "application/json", {})

    def _send_bytes(self, content, kind, headers, status=200):
        self._hub.agents.add(self.headers.get("User-Agent", ""))
        self.send_response(status)
        for name, value in {**headers, "Content-Type": kind}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _refuse(self, code="RepoNotFound"):
        headers = {"X-Error-Code": code, "X-Error-Message": "Repository not found"}
        self._send_bytes(b"{}", "application/json", headers, 404)

    def log_message(self, *_):
        pass


def _etag(content):
    return hashlib.sha1(content).hexdigest()
