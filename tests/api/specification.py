"""api/openapi.yaml as a program reads it, and answers held against it. See test_openapi.py."""

import datetime
import http.client
import json
import os
import re
import socket
import ssl

import yaml

from ostraka_cluster import REPOSITORY, SLOW, Failed

ANSWER_HEADERS = {"content-type", "content-length", "connection"}  # of HTTP; not named one by one


# ---- JSON Schema, as far as the specification uses it ----

ANNOTATIONS = {"description", "default", "example", "examples", "title", "$ref"}
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int,
         "null": type(None)}


def is_type(value, name):
    return isinstance(value, TYPES[name]) and not (name == "integer" and isinstance(value, bool))


def check_format(value, name):
    if name == "date-time":
        return datetime.datetime.fromisoformat(value.replace("Z", "+00:00")).tzinfo is not None
    return name == "int64" and -2**63 <= value < 2**63


def same(value, other):
    return type(value) is type(other) and value == other


def check_keyword(spec, keyword, value, schema, where):
    """Yields what is wrong by one keyword. A keyword that is not known here raises."""
    rule = schema[keyword]
    if keyword == "type":
        names = rule if isinstance(rule, list) else [rule]
        if not any(is_type(value, name) for name in names):
            yield "%s is no %s" % (where, " or ".join(names))
    elif keyword == "enum":
        if not any(same(value, one) for one in rule):
            yield "%s is none of %s: %r" % (where, rule, value)
    elif keyword == "const":
        if not same(value, rule):
            yield "%s is not %r: %r" % (where, rule, value)
    elif keyword == "anyOf":
        if all(list(spec.faults(value, one, where)) for one in rule):
            yield "%s is nothing of anyOf: %r" % (where, value)
    elif keyword == "pattern":
        if not re.search(rule, value):
            yield "%s does not match %s: %r" % (where, rule, value)
    elif keyword == "format":
        if not check_format(value, rule):
            yield "%s is no %s: %r" % (where, rule, value)
    elif keyword in ("minimum", "maximum"):
        if value is not None and (value < rule if keyword == "minimum" else value > rule):
            yield "%s beyond the %s: %r" % (where, keyword, value)
    elif keyword in ("minLength", "maxLength", "minItems", "maxItems"):
        if len(value) < rule if keyword.startswith("min") else len(value) > rule:
            yield "%s beyond the %s" % (where, keyword)
    elif keyword == "required":
        for name in set(rule) - set(value):
            yield "%s has no %s" % (where, name)
    elif keyword == "properties":
        for name in set(rule) & set(value):
            yield from spec.faults(value[name], rule[name], where + "." + name)
    elif keyword == "additionalProperties":
        for name in set(value) - set(schema.get("properties", {})):
            if rule is False:
                yield "%s has %s, which is not in the schema" % (where, name)
            else:
                yield from spec.faults(value[name], rule, where + "." + name)
    elif keyword == "items":
        for number, item in enumerate(value):
            yield from spec.faults(item, rule, "%s[%d]" % (where, number))
    elif keyword not in ANNOTATIONS:
        raise AssertionError("this test does not know the keyword " + keyword)


class Specification:
    METHODS = ("get", "put", "post", "delete", "patch", "head", "options")

    def __init__(self, path):
        with open(path) as file:
            self.root = yaml.safe_load(file)

    def resolve(self, reference):
        node = self.root
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]
        return node

    def at(self, node):
        return self.resolve(node["$ref"]) if "$ref" in node else node

    def faults(self, value, schema, where="the body"):
        """What is wrong with a value by a schema."""
        if "$ref" in schema:
            yield from self.faults(value, self.resolve(schema["$ref"]), where)
        if "type" in schema and list(check_keyword(self, "type", value, schema, where)):
            yield "%s is no %s: %r" % (where, schema["type"], value)
            return
        for keyword in schema:
            yield from check_keyword(self, keyword, value, schema, where)

    def operations(self):
        for path, item in self.root["paths"].items():
            for method, operation in item.items():
                if method in self.METHODS:
                    yield path, method.upper(), operation

    def template(self, target):
        """The path of the specification that a target belongs to, or None."""
        path = target.split("?")[0]
        for template in self.root["paths"]:
            if re.fullmatch(re.sub(r"\\\{\w+\\\}", ".*", re.escape(template)), path):
                return template
        return None

    def operation(self, template, method):
        return self.root["paths"].get(template, {}).get(method.lower())

    def responses(self, template, method):
        """By status. What the specification says of all other paths and methods is in components."""
        operation = self.operation(template, "GET" if method == "HEAD" else method)
        if operation:
            return {int(status): self.at(response)
                    for status, response in operation["responses"].items()}
        shared = self.root["components"]["responses"]
        if template:
            return {405: shared["MethodNotAllowed"]}
        return {404: shared["NotFound"]}

    def parameters(self, template, method, where):
        item = self.root["paths"][template]
        both = item.get("parameters", []) + item[method.lower()].get("parameters", [])
        return {one["name"]: one for one in map(self.at, both) if one["in"] == where}

    def walk(self, node=None, where="#"):
        """All mappings with their places."""
        node = self.root if node is None else node
        if isinstance(node, dict):
            yield where, node
            for key, value in node.items():
                yield from self.walk(value, where + "/" + str(key))
        elif isinstance(node, list):
            for number, value in enumerate(node):
                yield from self.walk(value, "%s/%d" % (where, number))


SPEC = Specification(os.path.join(REPOSITORY, "api", "openapi.yaml"))


def codes_of(response):
    """The error codes that a response is said to have."""
    return set(re.findall(r"`([a-z]+(?:_[a-z]+)*)`", response["description"])) & set(error_codes())


def error_codes():
    return SPEC.resolve("#/components/schemas/Error")["properties"]["error"]["properties"]["code"][
        "enum"]


# ---- answers of servers ----


class Answer:
    def __init__(self, status, headers, content):
        self.status, self.headers, self.content = status, headers, content
        names = [name.lower() for name, _ in headers]
        self.repeated = len(names) != len(set(names))
        self.header = {name.lower(): value for name, value in headers}

    def json(self):
        return json.loads(self.content)


def connect(cluster, node):
    plain = socket.create_connection(("127.0.0.1", cluster.api_port(node)), 20 * SLOW)
    return cluster.tls().wrap_socket(plain, server_hostname="127.0.0.1")


def exchange(cluster, node, method, data):
    """Sends bytes, which need not be a whole request, and returns the one answer."""
    try:
        with connect(cluster, node) as connection:
            try:
                connection.sendall(data)
            except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
                pass  # refused before it was sent whole; the answer is there
            response = http.client.HTTPResponse(connection, method=method)
            response.begin()
            return Answer(response.status, response.getheaders(), response.read())
    except (OSError, http.client.HTTPException) as error:
        raise Failed("%s at n%d: %r" % (data[:60], node, error)) from error


def head(method, target, fields):
    lines = ["%s %s HTTP/1.1" % (method, target), "Host: localhost", "Connection: close"]
    return "\r\n".join(lines + ["%s: %s" % field for field in fields.items()]).encode("latin-1")


class Recorder:
    """Makes requests and holds every answer against the specification."""

    def __init__(self):
        self.seen, self.codes, self.faults = set(), set(), []

    def fault(self, what, method, target, answer):
        self.faults.append("%s %s -> %d: %s (%s)" % (method, target, answer.status, what,
                                                     answer.content[:200]))

    def check_headers(self, response, answer):
        declared = {name.lower(): SPEC.at(header)
                    for name, header in response.get("headers", {}).items()}
        if answer.repeated:
            yield "a header came twice"
        for name in set(answer.header) - set(declared) - ANSWER_HEADERS:
            yield "the header %s is not in the specification" % name
        for name, header in declared.items():
            value = answer.header.get(name)
            if value is None:
                if header.get("required"):
                    yield "the header %s is missing" % name
                continue
            if header["schema"]["type"] == "integer":
                value = int(value)
            yield from SPEC.faults(value, header["schema"], "the header " + name)

    def check_error(self, response, answer):
        error = answer.json().get("error")
        if not error:
            return  # an unready node's health
        self.codes.add(error["code"])
        if error["code"] not in codes_of(response):
            yield "the code %s is not named for this status" % error["code"]
        if error["request_id"] != answer.header.get("x-request-id"):
            yield "two request ids"
        if ("retry-after" in answer.header) != (error["code"] == "busy"):
            yield "Retry-After is for busy"

    def check(self, method, target, answer):
        template = SPEC.template(target)
        responses = SPEC.responses(template, method)
        if answer.status not in responses:
            yield "this status is not in the specification"
            return
        response = responses[answer.status]
        if template and SPEC.operation(template, method):
            self.seen.add(("%s %s" % (method, template), answer.status))
        yield from self.check_headers(response, answer)
        media = answer.header.get("content-type")
        if media not in response["content"]:
            yield "the media type %s is not in the specification" % media
        elif method == "HEAD":
            if answer.content or "content-length" not in answer.header:
                yield "HEAD with a body, or without its length"
        elif media == "application/json":
            yield from SPEC.faults(answer.json(), response["content"][media]["schema"])
            if answer.status >= 400:
                yield from self.check_error(response, answer)

    def record(self, method, target, answer):
        for what in self.check(method, target, answer):
            self.fault(what, method, target, answer)
        return answer

    def send(self, cluster, node, method, target, body=None, fields=None, token=True, tail=None):
        """One request. `body` is JSON or bytes; `tail` are bytes instead of the end of the request."""
        every = {}
        if token:
            every["Authorization"] = "Bearer " + (cluster.token if token is True else token)
        if body is not None:
            every["Content-Type"] = "application/json"
            if not isinstance(body, bytes):
                body = json.dumps(body).encode()
            every["Content-Length"] = str(len(body))
        every.update(fields or {})
        data = head(method, target, every) + (b"\r\n\r\n" + (body or b"") if tail is None else tail)
        return self.record(method, target, exchange(cluster, node, method, data))
