// Package leak compares the snapshots of a heap by call site: which sites hold
// more nodes than before, which nodes are new and which are gone.
//
// A call site is a chain of functions, and of lines where the symbols tell
// them, not of addresses: compilers turn one call into several. Two chains of
// addresses that resolve to the same functions are one site, and their nodes
// are summed; without line numbers that includes two calls in one function.
// Levels that do not resolve count by their address.
//
// Pools are kept apart. They fill up independently, so the same chain in two
// pools is two sites.
//
// Only used nodes count.
package leak
