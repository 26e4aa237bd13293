package console

import (
	"bytes"
	"strings"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/plain"
)

// What a line of a report says: bits of reportTexts.
const (
	sayBadNode = uint64(1) << iota
	sayBadBackup
	sayEndBad
	sayEndBackupBad
	sayFirst
	sayHeader
	sayPrevious
	sayCurrent
	sayBackup
	sayAddress
	sayFree
	sayTask
	sayTaskGone
	sayNoTask
	sayModule
	sayNextBroken
	sayNoPrevious
	sayNoNode
	sayFinish
	sayStars

	sayControl
	sayShould
	sayGiven
	sayWild
	sayGap
	sayBadGap

	sayCheck
	sayMagic
	sayRange
	sayWords
	sayBrokenLR
	sayPreLR
	sayLR
	sayDump
	sayCur
	sayPre
	sayPreTask
	sayPreTaskGone
	sayPreFree
	sayFirstBroken

	sayTaskName
	sayTraceBegin
	sayTrace
	sayCPU
	sayExc

	sayFreeList
	sayPoolInfo
	sayPoolAddr
	sayListNode
	sayOutside
	sayInFree
)

// reportTexts finds what a line says. The texts are those of LiteOS 5.0's
// kernel/base/mem/bestfit/los_memory.c, of its exception handlers, and of the
// releases before it, which word some of them differently.
var reportTexts = func() *textSet {
	s := new(textSet)
	for _, t := range []struct {
		text string
		say  uint64
	}{
		{"the node information of current node is bad", sayBadNode},
		{"bad node's selfNode in [", sayBadNode},
		{"the backup node information in current node is bad", sayBadBackup},
		{"bad node's backupNode in [", sayBadBackup},
		{"the node information of previous node is bad", sayEndBad},
		{"bad preNode's selfNode in [", sayEndBad},
		{"information of current node in previous Node is bad", sayEndBackupBad},
		{"bad preNode's backupNode in [", sayEndBackupBad},
		{"current node is THE FIRST NODE", sayFirst},
		{" checksum=", sayHeader},
		{"the detailed information of previous node", sayPrevious},
		{"preNode's details:", sayPrevious},
		{"Current node details:", sayCurrent},
		{"the backup node information of current node in previous node:", sayBackup},
		{"backup for this node:", sayBackup},
		{"the address of node :", sayAddress},
		{"node's address: 0x", sayAddress},
		{"this is a FREE node", sayFree},
		{"allocated by task: ", sayTask},
		{"The task [ID: 0x", sayTaskGone},
		{"PROBABLY alloc by SYSTEM INIT", sayNoTask},
		{"allocated by moduleI", sayModule},
		{"the next node is broken!!", sayNextBroken},
		{"bad next node's selfNode in [", sayNextBroken},
		{"cannot find its previous Node", sayNoPrevious},
		{"the node is NULL.", sayNoNode},
		{"check finish", sayFinish},
		{"**********", sayStars},

		{" control block at: ", sayControl},
		{"the pointer should be: ", sayShould},
		{"the pointer given is: ", sayGiven},
		{"PROBABLY A WILD POINTER", sayWild},
		{"]gapSize:0x", sayGap},
		{"illegal gapSize: 0x", sayBadGap},

		{"memory check error!", sayCheck},
		{"magic num wrong", sayMagic},
		{" is out of legal mem range[", sayRange},
		{"broken node head: ", sayWords},
		{"broken node head LR info", sayBrokenLR},
		{"pre node head LR info", sayPreLR},
		{"LR[", sayLR},
		{"dump mem ", sayDump},
		{"cur node: ", sayCur},
		{"pre node: ", sayPre},
		{"pre node was allocated by task:", sayPreTask},
		{" in pre node is ", sayPreTaskGone},
		{" in pre node  is ", sayPreTaskGone},
		{"The prev node is free", sayPreFree},
		{"the broken node is the first node", sayFirstBroken},

		{"taskName = ", sayTaskName},
		{"backtrace begin", sayTraceBegin},
		{"traceback ", sayTrace},
		{" is in exc.", sayCPU},
		{"xcBuffAddr ", sayExc},
		{"xcType", sayExc},

		{"DlinkHead[", sayFreeList},
		{"mem pool info: ", sayPoolInfo},
		{"wrong mem pool addr: ", sayPoolAddr},
		{"Mem node data error:", sayListNode},
		{" is out of system memory range[", sayOutside},
		{" is belong to a free mem node", sayInFree},
	} {
		s.add(t.text, t.say)
	}
	return s
}()

// A reportLine is a line and what it says.
type reportLine struct {
	text   []byte
	say    uint64
	number int
}

func (l *reportLine) says(what uint64) bool { return l.say&what != 0 }

// number returns the hexadecimal number behind the first key in the line.
func (l *reportLine) hex(key string) (heap.Addr, bool) {
	v, _, ok := hexAfter(l.text, key)
	return v, ok
}

// hexAfter reads the number behind the first key in b: 0x1f, (nil), or 0x
// followed by (nil) as some C libraries print it. It returns what follows.
func hexAfter(b []byte, key string) (v heap.Addr, rest []byte, ok bool) {
	i := bytes.Index(b, []byte(key))
	if i < 0 {
		return 0, b, false
	}
	return hexAt(b[i+len(key):])
}

// hexAt reads the number at the start of b.
func hexAt(b []byte) (v heap.Addr, rest []byte, ok bool) {
	b = b[skipSpace(b, 0):]
	if nil_ := []byte("(nil)"); bytes.HasPrefix(b, nil_) {
		return 0, b[len(nil_):], true
	}
	v, end := parseHex(b, 0)
	return v, b[end:], end > 0
}

// maxName bounds what is kept of the name of a task or function, in bytes.
const maxName = 64

// name returns the word or words behind the first key in the line, up to one of
// the stops or the end, safe to print.
func (l *reportLine) name(key, stops string) string {
	_, after, ok := bytes.Cut(l.text, []byte(key))
	if !ok {
		return ""
	}
	if i := bytes.IndexAny(after, stops); i >= 0 && stops != "" {
		after = after[:i]
	}
	after = bytes.TrimRight(after, " \t\r\x00")
	return plain.Clean(strings.ToValidUTF8(string(after[:min(len(after), maxName)]), "?"))
}

// function returns the name in brackets of the device's function that prints
// the line: "[ERR][OsMemNodePrevTryGet]: the node information ...", or of
// older releases "bad node's selfNode in [osMemNodePrevGet]".
func (l *reportLine) function() string {
	for b := l.text; ; {
		_, after, ok := bytes.Cut(b, []byte("["))
		if !ok {
			return ""
		}
		word, rest, ok := bytes.Cut(after, []byte("]"))
		if !ok {
			return ""
		}
		word, _, _ = bytes.Cut(word, []byte(":")) // [OsMemFree:1699]
		if hasPrefixFold(word, "OsMem") || hasPrefixFold(word, "LOS_Mem") || hasPrefixFold(word, "OsGetRealPtr") {
			return plain.Clean(string(word[:min(len(word), maxName)]))
		}
		b = rest
		if len(b) == 0 {
			b = after
		}
	}
}

func hasPrefixFold(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && strings.EqualFold(string(b[:len(prefix)]), prefix)
}

// operation says which operation a function of the device belongs to; "" if
// several call it.
func operation(function string) string {
	switch strings.ToLower(function) {
	case "osmemnodeprevtryget", "osmemfree", "osmembackuptryrestore":
		return "free"
	case "osmemfindsuitablefreeblock", "osmemallocwithcheck":
		return "alloc"
	case "osgetrealptr", "osmemrealloc":
		return "realloc"
	case "osmemintegritycheck", "los_memintegritycheck", "osmemmagiccheckprint", "los_membadnodeshow":
		return "check"
	}
	return ""
}

// controlHeader reads a line such as
//
//	node:0xb696c checksum=0x41[0x9f] freeNodeInfo.pstPrev=0x41 freeNodeInfo.pstNext=(nil) preNode=0x41 gapSize=0x0 sizeAndFlag=0x80000c00
//
// as far as it goes.
func controlHeader(line []byte) (h ctlHeader, ok bool) {
	at, rest, ok := hexAfter(line, "node:")
	if !ok {
		return h, false
	}
	h.at = at
	h.fields = 1
	values := []struct {
		key string
		to  *uint64
	}{
		{"checksum=", &h.sum},
		{"[", &h.recomputed},
		{"pstPrev=", &h.prev},
		{"pstNext=", &h.next},
		{"reNode=", &h.pre},
		{"apSize=", &h.gap},
		{"izeAndFlag=", &h.size},
	}
	for i, v := range values {
		n, r, ok := hexAfter(rest, v.key)
		// A number that ends the line may have lost digits, but for the last.
		if !ok || len(r) == 0 && i < len(values)-1 {
			break
		}
		*v.to = uint64(n)
		rest = r
		h.fields++
	}
	return h, true
}

// sentences joins what is not empty.
func sentences(parts ...string) string {
	var kept []string
	for _, p := range parts {
		if p != "" {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, "; ")
}
