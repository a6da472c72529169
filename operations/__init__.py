"""What an operator does with one deployment: find, decide, send again, check, change documents. Commands (``cli``) and the
console's pages call it; how anything is typed, printed or drawn does not belong here."""
