-- Ghost text of `onward lsp` in Neovim 0.11. Save this file as ~/.config/nvim/lua/onward.lua, and add
-- require("onward").setup() to init.lua.

local M = {}

local namespace = vim.api.nvim_create_namespace("onward")
local shown -- the ghost text: buffer, row, column (in bytes) and text
local asked -- the request in progress: client and id
local place -- where the last request was made: buffer, change, row and column

local defaults = {
  cmd = { "onward", "lsp" },
  settings = vim.empty_dict(), -- such as { length = "word", probability = 0.5 }
  accept = "<Tab>",
  menu = false, -- whether to show the list of words while typing
}

local function hide()
  if shown and vim.api.nvim_buf_is_valid(shown.buffer) then
    vim.api.nvim_buf_clear_namespace(shown.buffer, namespace, 0, -1)
  end
  shown = nil
end

local function leave()
  hide()
  place = nil
end

local function show(buffer, row, column, text)
  hide()
  if text == "" then
    return
  end
  shown = { buffer = buffer, row = row, column = column, text = text }
  vim.api.nvim_buf_set_extmark(buffer, namespace, row, column, {
    virt_text = { { text, "Comment" } },
    virt_text_pos = "inline",
  })
end

-- Shows the rest of the ghost text if the user typed its beginning.
local function follow(buffer, row, column)
  if not shown or shown.buffer ~= buffer or shown.row ~= row or column < shown.column then
    return hide()
  end
  local typed = vim.api.nvim_buf_get_text(buffer, row, shown.column, row, column, {})[1]
  if not vim.startswith(shown.text, typed) then
    return hide()
  end
  show(buffer, row, column, shown.text:sub(#typed + 1))
end

local function ask()
  local buffer = vim.api.nvim_get_current_buf()
  local row, column = unpack(vim.api.nvim_win_get_cursor(0))
  local tick = vim.api.nvim_buf_get_changedtick(buffer)
  local here = { buffer, tick, row, column }
  if vim.deep_equal(here, place) then
    return -- a key changes the text and moves the cursor: both events ask
  end
  place = here
  follow(buffer, row - 1, column)
  if asked then
    asked.client:cancel_request(asked.id)
    asked = nil
  end
  local client = vim.lsp.get_clients({ name = "onward", bufnr = buffer })[1]
  if not client or vim.fn.pumvisible() == 1 then
    place = nil
    return
  end
  local params = vim.lsp.util.make_position_params(0, client.offset_encoding)
  params.context = { triggerKind = 2 }
  local _, id = client:request("textDocument/inlineCompletion", params, function(problem, result)
    asked = nil
    local now = vim.api.nvim_win_get_cursor(0)
    local is_same = vim.api.nvim_get_current_buf() == buffer
      and vim.api.nvim_buf_get_changedtick(buffer) == tick
      and now[1] == row
      and now[2] == column
    if problem or not is_same or vim.api.nvim_get_mode().mode:sub(1, 1) ~= "i" then
      return
    end
    local item = result and result.items[1]
    show(buffer, row - 1, column, item and item.insertText or "")
    vim.api.nvim_exec_autocmds("User", { pattern = "OnwardAnswer" })
  end, buffer)
  asked = id and { client = client, id = id }
end

-- Inserts the ghost text. Returns false if there is none.
function M.accept()
  if not shown then
    return false
  end
  local row, column, text = shown.row, shown.column, shown.text
  hide()
  vim.api.nvim_buf_set_text(0, row, column, row, column, { text })
  vim.api.nvim_win_set_cursor(0, { row + 1, column + #text })
  return true
end

-- Returns the ghost text; nil if there is none.
function M.visible()
  return shown and shown.text
end

function M.setup(options)
  options = vim.tbl_extend("force", defaults, options or {})
  vim.lsp.config("onward", {
    cmd = options.cmd,
    root_markers = { ".onward", ".git" },
    init_options = options.settings,
  })
  vim.lsp.enable("onward")
  local group = vim.api.nvim_create_augroup("onward", {})
  vim.api.nvim_create_autocmd({ "InsertEnter", "TextChangedI", "CursorMovedI" }, { group = group, callback = ask })
  vim.api.nvim_create_autocmd({ "InsertLeave", "BufLeave" }, { group = group, callback = leave })
  if options.menu then
    vim.api.nvim_create_autocmd("LspAttach", {
      group = group,
      callback = function(event)
        local client = vim.lsp.get_client_by_id(event.data.client_id)
        if client and client.name == "onward" then
          vim.lsp.completion.enable(true, client.id, event.buf, { autotrigger = true })
        end
      end,
    })
  end
  vim.keymap.set("i", options.accept, function()
    if not M.accept() then
      vim.api.nvim_feedkeys(vim.keycode(options.accept), "n", false)
    end
  end, { desc = "accept the ghost text of onward" })
end

return M
