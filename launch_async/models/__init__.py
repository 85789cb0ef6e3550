"""What the API speaks, as immutable attrs classes: one module per noun."""

from launch_async.models.base import UNSET, JSONValue, OpenEnum, Unset, WireModel
from launch_async.models.cache import CacheRevalidationUsage
from launch_async.models.deployment import Deployment, DeploymentRef, DeploymentStatus
from launch_async.models.domain import Domain, DomainInfo, SslMethod
from launch_async.models.environment import (
    Environment,
    EnvironmentVariable,
    FrameworkPreset,
    PasswordProtection,
)
from launch_async.models.log import Log, LogLine, LogStage, ServerLogLine
from launch_async.models.page import Page, Pagination
from launch_async.models.project import GitProvider, Project, ProjectType, Repository
from launch_async.models.upload import DownloadUrl, FormField, SignedUploadUrl, UploadHeader, UploadMethod

__all__ = [
    "UNSET",
    "CacheRevalidationUsage",
    "Deployment",
    "DeploymentRef",
    "DeploymentStatus",
    "Domain",
    "DomainInfo",
    "DownloadUrl",
    "Environment",
    "EnvironmentVariable",
    "FormField",
    "FrameworkPreset",
    "GitProvider",
    "JSONValue",
    "Log",
    "LogLine",
    "LogStage",
    "OpenEnum",
    "Page",
    "Pagination",
    "PasswordProtection",
    "Project",
    "ProjectType",
    "Repository",
    "ServerLogLine",
    "SignedUploadUrl",
    "SslMethod",
    "Unset",
    "UploadHeader",
    "UploadMethod",
    "WireModel",
]
