// Command bench is `make bench`: it measures what meshfence costs, through a real API server with the real binary, beside
// a pair of webhooks that always say yes (the floor that any webhook has) and beside no webhook at all.
//
// Everything that is compared is measured in one run, in turns, over several rounds, so that whatever else the machine
// does hits all of it alike. What is reported are medians over the rounds, and how far the rounds lie apart. While it
// measures it also checks answers: a label that meshfence should have filled in, a request that it should have refused.
//
// It prints one table, and writes it to test/bench/results as JSON and Markdown, and plots of the growth as SVG to
// docs/performance, where docs/performance.md shows them.
package main
