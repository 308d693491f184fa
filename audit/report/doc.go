// Package report writes the findings of a check down: as a table for a person, and in the formats that machines, continuous integration and
// code scanning read. It judges nothing, and knows no rule but by what it is handed. The same report gives the same bytes.
package report
