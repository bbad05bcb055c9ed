// Package report writes results and comparisons for people and for machines.
package report
