// Package cgotest calls back from C into Go, for the tests of package callers:
// test files cannot use cgo themselves.
package cgotest
