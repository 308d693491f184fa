// Package browser has nothing but tests: they look at the pictures of audit/picture in a real browser, headless Chromium, and ask it where
// everything is.
package browser
