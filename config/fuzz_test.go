package config

import (
	"strings"
	"testing"

	"github.com/heapwright/heapwright"
)

// Whatever a file and the environment say, the answer is an error or a
// configuration that the menu allows.
func FuzzLoad(f *testing.F) {
	f.Add("LOSCFG_DEBUG_VERSION=y\nLOSCFG_MEM_DEBUG=y\nLOSCFG_MEM_LEAKCHECK=y\n", "HEAPWRIGHT_LOS_RECORD_LR_CNT=5 HEAPWRIGHT_MEM_HEAD_BACKUP=y")
	f.Add("HEAPWRIGHT_POOL_NAME=\"a\\\"b\"\n", "HEAPWRIGHT_CHECK_LEVEL_HIGH=y HEAPWRIGHT_DEBUG_VERSION=n")
	f.Add("\ufeff# LOSCFG_MEM_DEBUG is not set\r\n", "HEAPWRIGHT_ON_FINDING_PANIC=y HEAPWRIGHT_ON_FINDING_REPORT=y HEAPWRIGHT_=")
	f.Fuzz(func(t *testing.T, file, environ string) {
		tree := Menu()
		if _, err := Read(tree, strings.NewReader(file), "x"); err != nil {
			return
		}
		if _, err := Environment(tree, strings.Fields(environ)); err != nil {
			return
		}
		cfg, _, err := Pool(tree)
		if err != nil {
			return
		}
		if cfg.LeakCheck && (cfg.RecordLR < 1 || cfg.RecordLR > 32 || cfg.OmitLR < heapwright.None || cfg.OmitLR > 32) || cfg.MaxSize < 0 || cfg.MaxSize > 32<<30 {
			t.Errorf("%+v", cfg)
		}
	})
}
