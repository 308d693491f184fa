// Package history is the life of findings: when each was first seen, which ones are new, and which are gone. What is known is a value, which a text
// can be made of and read again, so that another replica goes on where this one stopped.
package history
