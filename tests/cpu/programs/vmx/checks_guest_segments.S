// Guest segments that an entry refuses (SDM 3C 27.3.1.2).
//
// exit: entry_failure_guest_state rule=321 at=tr_ti EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=322 at=tr_unusable EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=322 at=tr_not_busy EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=323 at=tr_absent EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=324 at=tr_base EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=375 at=tr_reserved EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=376 at=tr_granularity EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=325 at=ldtr_absent EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=326 at=ldtr_base EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=329 at=ldtr_ti EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=327 at=fs_base EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=328 at=gs_base EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=330 at=ss_rpl EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=331 at=cs_data EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=331 at=cs_unusable EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=332 at=cs_absent EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=333 at=cs_l_and_d EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=334 at=cs_base EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=339 at=cs_dpl EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=340 at=cs_reserved EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=346 at=cs_granularity EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=335 at=ss_read_only EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=336 at=ss_absent EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=337 at=ss_dpl EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=349 at=ss_reserved EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=350 at=ss_granularity EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=351 at=ss_base EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=341 at=es_absent EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=342 at=es_not_accessed EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=343 at=es_execute_only EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=359 at=ds_reserved EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=365 at=fs_granularity EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=366 at=gs_absent EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=347 at=ds_dpl EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=348 at=es_base EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=352 at=v86_base EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=353 at=v86_limit EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=354 at=v86_rights EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=338 at=ss_dpl_of_data_cs EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=377 at=ldtr_reserved EXIT_QUALIFICATION=0
// exit: entry_failure_guest_state rule=378 at=ldtr_granularity EXIT_QUALIFICATION=0
#include "host.inc"
start:
    call prepare
    BREAK GUEST_TR_SELECTOR, 0x3c
    ENTER tr_ti
    BREAK GUEST_TR_ACCESS_RIGHTS, 0x1008b
    ENTER tr_unusable
    BREAK GUEST_TR_ACCESS_RIGHTS, 0x89
    ENTER tr_not_busy
    BREAK GUEST_TR_ACCESS_RIGHTS, 0x0b
    ENTER tr_absent
    BREAK GUEST_TR_BASE, 0x800000000000
    ENTER tr_base
    BREAK GUEST_TR_ACCESS_RIGHTS, 0x18b
    ENTER tr_reserved
    BREAK GUEST_TR_ACCESS_RIGHTS, 0x808b
    ENTER tr_granularity
    BREAK GUEST_LDTR_ACCESS_RIGHTS, 0x02
    ENTER ldtr_absent
    BREAK GUEST_LDTR_ACCESS_RIGHTS, 0x82
    BREAK GUEST_LDTR_BASE, 0x800000000000
    ENTER ldtr_base
    BREAK GUEST_LDTR_ACCESS_RIGHTS, 0x82
    BREAK GUEST_LDTR_SELECTOR, 4
    ENTER ldtr_ti
    BREAK GUEST_FS_BASE, 0x800000000000
    ENTER fs_base
    BREAK GUEST_GS_BASE, 0x800000000000
    ENTER gs_base
    BREAK GUEST_SS_SELECTOR, 0x11
    ENTER ss_rpl
    BREAK GUEST_CS_ACCESS_RIGHTS, 0xc093
    ENTER cs_data
    BREAK GUEST_CS_ACCESS_RIGHTS, 0x1a09b
    ENTER cs_unusable
    BREAK GUEST_CS_ACCESS_RIGHTS, 0xa01b
    ENTER cs_absent
    BREAK GUEST_CS_ACCESS_RIGHTS, 0xe09b
    ENTER cs_l_and_d
    BREAK GUEST_CS_BASE, 1 << 32
    ENTER cs_base
    BREAK GUEST_CS_ACCESS_RIGHTS, 0xa0fb
    ENTER cs_dpl
    BREAK GUEST_CS_ACCESS_RIGHTS, 0xa19b
    ENTER cs_reserved
    BREAK GUEST_CS_ACCESS_RIGHTS, 0x209b
    ENTER cs_granularity
    BREAK GUEST_SS_ACCESS_RIGHTS, 0xc091
    ENTER ss_read_only
    BREAK GUEST_SS_ACCESS_RIGHTS, 0xc013
    ENTER ss_absent
    BREAK GUEST_SS_ACCESS_RIGHTS, 0xc0f3
    BREAK GUEST_CS_ACCESS_RIGHTS, 0xa0fb
    ENTER ss_dpl
    BREAK GUEST_SS_ACCESS_RIGHTS, 0xc293
    ENTER ss_reserved
    BREAK GUEST_SS_ACCESS_RIGHTS, 0x4093
    ENTER ss_granularity
    BREAK GUEST_SS_BASE, 1 << 40
    ENTER ss_base
    BREAK GUEST_ES_ACCESS_RIGHTS, 0xc013
    ENTER es_absent
    BREAK GUEST_ES_ACCESS_RIGHTS, 0xc092
    ENTER es_not_accessed
    BREAK GUEST_ES_ACCESS_RIGHTS, 0xc099
    ENTER es_execute_only
    BREAK GUEST_DS_ACCESS_RIGHTS, 0xc193
    ENTER ds_reserved
    BREAK GUEST_FS_ACCESS_RIGHTS, 0x4093
    ENTER fs_granularity
    BREAK GUEST_GS_ACCESS_RIGHTS, 0xc013
    ENTER gs_absent
    BREAK GUEST_DS_SELECTOR, 0x13
    ENTER ds_dpl
    BREAK GUEST_ES_BASE, 1 << 32
    ENTER es_base
    BREAK ENTRY_CONTROLS, 0x11ff
    BREAK EXIT_CONTROLS, 0x00336fff
    BREAK GUEST_RFLAGS, 0x20002
    BREAK GUEST_RIP, 0x100
    BREAK GUEST_ES_SELECTOR, 0
    BREAK GUEST_ES_LIMIT, 0xffff
    BREAK GUEST_ES_ACCESS_RIGHTS, 0xf3
    BREAK GUEST_CS_SELECTOR, 0
    BREAK GUEST_CS_LIMIT, 0xffff
    BREAK GUEST_CS_ACCESS_RIGHTS, 0xf3
    BREAK GUEST_SS_SELECTOR, 0
    BREAK GUEST_SS_LIMIT, 0xffff
    BREAK GUEST_SS_ACCESS_RIGHTS, 0xf3
    BREAK GUEST_DS_SELECTOR, 0
    BREAK GUEST_DS_LIMIT, 0xffff
    BREAK GUEST_DS_ACCESS_RIGHTS, 0xf3
    BREAK GUEST_FS_SELECTOR, 0
    BREAK GUEST_FS_LIMIT, 0xffff
    BREAK GUEST_FS_ACCESS_RIGHTS, 0xf3
    BREAK GUEST_GS_SELECTOR, 0
    BREAK GUEST_GS_LIMIT, 0xffff
    BREAK GUEST_GS_ACCESS_RIGHTS, 0xf3
    BREAK GUEST_DS_BASE, 0x10
    ENTER v86_base
    BREAK ENTRY_CONTROLS, 0x11ff
    BREAK EXIT_CONTROLS, 0x00336fff
    BREAK GUEST_RFLAGS, 0x20002
    BREAK GUEST_RIP, 0x100
    BREAK GUEST_ES_SELECTOR, 0
    BREAK GUEST_ES_LIMIT, 0xffff
    BREAK GUEST_ES_ACCESS_RIGHTS, 0xf3
    BREAK GUEST_CS_SELECTOR, 0
    BREAK GUEST_CS_LIMIT, 0xffff
    BREAK GUEST_CS_ACCESS_RIGHTS, 0xf3
    BREAK GUEST_SS_SELECTOR, 0
    BREAK GUEST_SS_LIMIT, 0xffff
    BREAK GUEST_SS_ACCESS_RIGHTS, 0xf3
    BREAK GUEST_DS_SELECTOR, 0
    BREAK GUEST_DS_LIMIT, 0xffff
    BREAK GUEST_DS_ACCESS_RIGHTS, 0xf3
    BREAK GUEST_FS_SELECTOR, 0
    BREAK GUEST_FS_LIMIT, 0xffff
    BREAK GUEST_FS_ACCESS_RIGHTS, 0xf3
    BREAK GUEST_GS_SELECTOR, 0
    BREAK GUEST_GS_LIMIT, 0xffff
    BREAK GUEST_GS_ACCESS_RIGHTS, 0xf3
    BREAK GUEST_GS_LIMIT, 0xfffff
    ENTER v86_limit
    BREAK ENTRY_CONTROLS, 0x11ff
    BREAK EXIT_CONTROLS, 0x00336fff
    BREAK GUEST_RFLAGS, 0x20002
    BREAK GUEST_RIP, 0x100
    BREAK GUEST_ES_SELECTOR, 0
    BREAK GUEST_ES_LIMIT, 0xffff
    BREAK GUEST_ES_ACCESS_RIGHTS, 0xf3
    BREAK GUEST_CS_SELECTOR, 0
    BREAK GUEST_CS_LIMIT, 0xffff
    BREAK GUEST_CS_ACCESS_RIGHTS, 0xf3
    BREAK GUEST_SS_SELECTOR, 0
    BREAK GUEST_SS_LIMIT, 0xffff
    BREAK GUEST_SS_ACCESS_RIGHTS, 0xf3
    BREAK GUEST_DS_SELECTOR, 0
    BREAK GUEST_DS_LIMIT, 0xffff
    BREAK GUEST_DS_ACCESS_RIGHTS, 0xf3
    BREAK GUEST_FS_SELECTOR, 0
    BREAK GUEST_FS_LIMIT, 0xffff
    BREAK GUEST_FS_ACCESS_RIGHTS, 0xf3
    BREAK GUEST_GS_SELECTOR, 0
    BREAK GUEST_GS_LIMIT, 0xffff
    BREAK GUEST_GS_ACCESS_RIGHTS, 0xf3
    BREAK GUEST_CS_ACCESS_RIGHTS, 0xfb
    ENTER v86_rights
    BREAK PRIMARY_CONTROLS, 0x8401e172
    BREAK SECONDARY_CONTROLS, (1 << 7) + 2
    BREAK GUEST_CS_ACCESS_RIGHTS, 0xc093
    BREAK GUEST_SS_ACCESS_RIGHTS, 0xc0f3
    ENTER ss_dpl_of_data_cs
    BREAK GUEST_LDTR_ACCESS_RIGHTS, 0x182
    ENTER ldtr_reserved
    BREAK GUEST_LDTR_LIMIT, 0x100000
    BREAK GUEST_LDTR_ACCESS_RIGHTS, 0x82
    ENTER ldtr_granularity
    RUN                                     // mended
    FINISH
guest:
    LEAVE
