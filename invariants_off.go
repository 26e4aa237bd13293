//go:build !invariants

package heapwright

const invariants = false

func (p *Pool) checkInvariants() {}
