package console

import "bytes"

// OpenHarmony LiteOS-A, OsMemUsedNodeShow (shell command memused), TLSF heap
// with LOSCFG_MEM_LEAKCHECK. Source: kernel/base/mem/tlsf/los_memory.c of
// kernel_liteos_a.
//
//	OHOS # memused
//
//	node            LR[0]       LR[1]       LR[2]
//	0x00402d79e4:  0x008011d740  0x008011a990  0x0000000000
//
// It is the listing of LiteOS 5.0 with other widths: 12 characters on 32-bit
// devices; on 64-bit ones 20, or 18 where the C library counts the 0x. There is
// no size: what stands between two addresses is only an upper bound. As the
// header is the same, the dialect is told by the prompt in front of it; a
// listing that a program prints without one is read as LiteOS 5.0, to the same
// effect. No blank line follows, so the prompt ends it.
var liteosA = dialect{
	name:     "OpenHarmony LiteOS-A memused",
	sample:   "node  LR[0]  LR[1]  LR[2]",
	keys:     []string{"LR[0]", "OHOS"},
	boot:     []string{"******************Welcome******************"},
	row:      liteosRow,
	header:   func(line []byte, l *listing) bool { return ohosPrompt(l.title) && liteosHeader(line, l) },
	resume:   liteosResume,
	fragment: liteosFragment,
	prompt:   ohosPrompt,
}

// ohosPrompt recognises the prompt of both OpenHarmony kernels, "OHOS # ", and
// that of the shell in user space, "OHOS:/dir$ ".
func ohosPrompt(line []byte) bool {
	i := bytes.Index(line, []byte("OHOS"))
	if i < 0 {
		return false
	}
	rest := line[i+len("OHOS"):]
	if bytes.HasPrefix(rest, []byte(" # ")) {
		return true
	}
	if !bytes.HasPrefix(rest, []byte(":/")) {
		return false
	}
	for i, c := range rest {
		if isSpace(c) {
			break
		}
		if c == '$' {
			return i+1 < len(rest) && rest[i+1] == ' '
		}
	}
	return false
}
