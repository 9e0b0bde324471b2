"""The language server: the protocol of pygls around a `Suggester`."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer
from pygls.protocol import LanguageServerProtocol, default_converter
from pygls.uris import to_fs_path

from onward.errors import OnwardError
from onward.lsp.document import Change, OpenDocument
from onward.lsp.settings import SECTION, Settings
from onward.lsp.text import Encoding, TextPosition

if TYPE_CHECKING:  # it loads PyTorch, which takes a second; the client waits only for the protocol
    from onward.lsp.suggester import Suggester

TRIGGERS = [".", "(", "[", "{", '"', "'", "/", "@", "#"]
"""Characters after which clients ask for the list of words."""

_LOG = logging.getLogger("onward.lsp")
_PROGRESS_STEPS = 20
_ENCODINGS: dict[Any, Encoding] = {"utf-8": "utf-8", "utf-32": "utf-32"}

Load = Callable[[Sequence[Path]], "Suggester"]
"""Loads the model for the folders of a workspace. It takes seconds."""


class OnwardServer(LanguageServer):
    """The server and its open documents.

    Args:
        load: loads the model.

    Attributes:
        documents: the open documents, by URI.
        settings: what is suggested.
        suggester: finds suggestions; None: the model is not loaded yet.
    """

    def __init__(self, load: Load) -> None:
        super().__init__(
            "onward",
            version("onward"),
            text_document_sync_kind=types.TextDocumentSyncKind.Incremental,
            protocol_cls=_Protocol,
            converter_factory=default_converter,
        )
        self.documents: dict[str, OpenDocument] = {}
        self.settings = Settings()
        self.suggester: "Suggester | None" = None
        self._load = load
        self._tasks = set[asyncio.Task[None]]()

    def report_server_error(self, error: Exception, source: Any) -> None:
        """Logs an error. A message in the editor at each key would be worse than no suggestion."""
        _LOG.error("%s: %s", source.__name__, error)

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Does work in the background."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def use_settings(self, sent: Any) -> None:
        """Takes over the settings that the client sent."""
        self.settings, problem = Settings.read(sent)
        if problem:
            shown = types.ShowMessageParams(types.MessageType.Warning, problem)
            self.window_show_message(shown)

    async def load(self) -> None:
        """Loads the model, and has it read the files of the workspace."""
        folders = self._folders()
        try:
            self.suggester = await asyncio.to_thread(self._load, folders)
        except OnwardError as error:
            message = f"{error} ({error.hint})" if error.hint else str(error)
            self.window_show_message(types.ShowMessageParams(types.MessageType.Error, message))
            return
        if folders and self.suggester.workspace:
            self.suggester.workspace.read_files(folders, await self._progress())

    def stop(self) -> None:
        """Ends the threads of the model."""
        if self.suggester:
            self.suggester.stop()

    def document_for(self, uri: str) -> OpenDocument | None:
        """Returns an open document if it gets suggestions."""
        document = self.documents.get(uri)
        if document is None or not document.can_suggest or not self.settings.includes(document.language):
            return None
        return document

    def _folders(self) -> list[Path]:
        uris = [folder.uri for folder in self.workspace.folders.values()] or [self.workspace.root_uri]
        paths = [to_fs_path(uri) for uri in uris if uri]
        return [Path(path) for path in paths if path]

    async def _progress(self) -> Callable[[int, int], None]:
        """Returns a function that shows the progress of reading files, if the client can show it."""
        window = self.client_capabilities.window
        if not (window and window.work_done_progress):
            return lambda done, of: None
        token, loop, shown = "onward/files", asyncio.get_running_loop(), [-1]
        try:
            await self.work_done_progress.create_async(token)
        except Exception:
            _LOG.debug("the client shows no progress", exc_info=True)
            return lambda done, of: None
        self.work_done_progress.begin(
            token, types.WorkDoneProgressBegin(title="onward: reading files", percentage=0, cancellable=False)
        )

        def show(done: int, of: int) -> None:
            if done >= of:
                ended = types.WorkDoneProgressEnd(message=f"{of} files")
                loop.call_soon_threadsafe(self.work_done_progress.end, token, ended)
            elif (step := done * _PROGRESS_STEPS // of) != shown[0]:
                shown[0] = step
                report = types.WorkDoneProgressReport(message=f"{done} of {of}", percentage=100 * done // of)
                loop.call_soon_threadsafe(self.work_done_progress.report, token, report)

        return show


class _Protocol(LanguageServerProtocol):
    """Answers requests whose parameters are wrong; pygls only logs them, and their client would wait."""

    def structure_message(self, data: dict[str, Any]) -> Any:
        try:
            return super().structure_message(data)
        except JsonRpcException as error:
            if "id" in data and "method" in data:
                self._send_response(data["id"], error=error.to_response_error())
            raise


def make_server(load: Load) -> OnwardServer:
    """Returns a server that has not started.

    Args:
        load: loads the model, after the client has connected.
    """
    server = OnwardServer(load)
    _keep_documents(server)

    @server.feature(types.INITIALIZE)
    def initialize(params: types.InitializeParams) -> None:
        server.use_settings(params.initialization_options)

    @server.feature(types.INITIALIZED)
    def initialized(_: types.InitializedParams) -> None:
        server.begin(server.load())

    @server.feature(types.WORKSPACE_DID_CHANGE_CONFIGURATION)
    def configure(params: types.DidChangeConfigurationParams) -> None:
        settings = params.settings
        server.use_settings(settings.get(SECTION) if isinstance(settings, dict) else None)

    @server.feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionOptions())
    async def complete_inline(params: types.InlineCompletionParams) -> types.InlineCompletionList:
        document, suggester = server.document_for(params.text_document.uri), server.suggester
        if not (document and suggester):
            return types.InlineCompletionList(items=[])
        offset = document.offset(_position_of(params.position))
        text = await suggester.ghost_text(document, offset, server.settings)
        place = _range_at(document, offset, offset)
        items = [types.InlineCompletionItem(insert_text=text, range=place)] if text else []
        return types.InlineCompletionList(items=items)

    @server.feature(types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions(trigger_characters=TRIGGERS))
    async def complete(params: types.CompletionParams) -> types.CompletionList:
        document, suggester = server.document_for(params.text_document.uri), server.suggester
        if not (document and suggester and server.settings.words):
            return types.CompletionList(is_incomplete=True, items=[])
        offset = document.offset(_position_of(params.position))
        typed = document.typed_word(offset)
        place = _range_at(document, offset - len(typed), offset)
        found = await suggester.words(document, offset, server.settings)
        items = [
            types.CompletionItem(
                label=one.text.strip() or one.text,
                kind=types.CompletionItemKind.Text,
                detail=f"{one.probability:.0%}",
                sort_text=f"{number:02}",
                filter_text=typed or one.text,
                text_edit=types.TextEdit(range=place, new_text=one.text),
            )
            for number, one in enumerate(found)
        ]
        return types.CompletionList(is_incomplete=True, items=items)

    return server


def _keep_documents(server: OnwardServer) -> None:
    """Makes a server keep its open documents itself.

    pygls' own documents split lines at form feeds and other characters at which editors do not, and fail at
    changes of unknown documents before a handler is called.
    """

    def opened(params: types.DidOpenTextDocumentParams) -> None:
        document = params.text_document
        encoding = _ENCODINGS.get(server.server_capabilities.position_encoding, "utf-16")
        server.documents[document.uri] = OpenDocument(
            document.uri, document.language_id, document.version, document.text, encoding
        )

    def changed(params: types.DidChangeTextDocumentParams) -> None:
        if document := server.documents.get(params.text_document.uri):
            document.change(params.text_document.version, [*map(_change_of, params.content_changes)])

    def closed(params: types.DidCloseTextDocumentParams) -> None:
        uri = params.text_document.uri
        if document := server.documents.pop(uri, None):
            document.revision += 1
            if server.suggester:
                server.suggester.close(uri)

    server.protocol.fm.builtin_features.update(
        {
            types.TEXT_DOCUMENT_DID_OPEN: opened,
            types.TEXT_DOCUMENT_DID_CHANGE: changed,
            types.TEXT_DOCUMENT_DID_CLOSE: closed,
        }
    )


def _change_of(change: types.TextDocumentContentChangeEvent) -> Change:
    if isinstance(change, types.TextDocumentContentChangePartial):
        return Change(_position_of(change.range.start), _position_of(change.range.end), change.text)
    return Change(None, None, change.text)


def _position_of(position: types.Position) -> TextPosition:
    return TextPosition(position.line, position.character)


def _range_at(document: OpenDocument, start: int, end: int) -> types.Range:
    return types.Range(*(types.Position(*document.position(offset)) for offset in (start, end)))
