// VM-exit controls, VM-entry controls and event injection that an entry refuses (SDM 3C 27.2.1.2, 27.2.1.3).
//
// fail: entry_invalid_controls rule=115 at=exit_must_be_one
// fail: entry_invalid_controls rule=115 at=exit_reserved
// fail: entry_invalid_controls rule=118 at=timer_saved_alone
// fail: entry_invalid_controls rule=116 at=store_area
// fail: entry_invalid_controls rule=116 at=store_area_too_long
// fail: entry_invalid_controls rule=117 at=load_area
// fail: entry_invalid_controls rule=120 at=entry_must_be_one
// fail: entry_invalid_controls rule=120 at=entry_smm
// fail: entry_invalid_controls rule=128 at=entry_area
// fail: entry_invalid_controls rule=121 at=event_type_1
// fail: entry_invalid_controls rule=119 at=event_trap_vector
// fail: entry_invalid_controls rule=122 at=event_nmi_vector
// fail: entry_invalid_controls rule=123 at=event_exception_vector
// fail: entry_invalid_controls rule=124 at=event_without_code
// fail: entry_invalid_controls rule=124 at=event_with_code
// fail: entry_invalid_controls rule=125 at=event_reserved
// fail: entry_invalid_controls rule=126 at=event_wide_code
// fail: entry_invalid_controls rule=127 at=event_length
#include "host.inc"
start:
    call prepare
    BREAK EXIT_CONTROLS, 0
    ENTER exit_must_be_one
    BREAK EXIT_CONTROLS, 0x80336fff
    ENTER exit_reserved
    BREAK EXIT_CONTROLS, 0x00736fff
    ENTER timer_saved_alone
    BREAK EXIT_MSR_STORE_COUNT, 1
    BREAK EXIT_MSR_STORE_ADDRESS, 8
    ENTER store_area
    BREAK EXIT_MSR_STORE_COUNT, 0xffffffff
    BREAK EXIT_MSR_STORE_ADDRESS, (1 << 46) - 0x1000
    ENTER store_area_too_long
    BREAK EXIT_MSR_LOAD_COUNT, 1
    BREAK EXIT_MSR_LOAD_ADDRESS, 1 << 46
    ENTER load_area
    BREAK ENTRY_CONTROLS, 0
    ENTER entry_must_be_one
    BREAK ENTRY_CONTROLS, 0x97ff
    ENTER entry_smm
    BREAK ENTRY_MSR_LOAD_COUNT, 1
    BREAK ENTRY_MSR_LOAD_ADDRESS, 4
    ENTER entry_area
    BREAK ENTRY_INTERRUPTION_INFO, 0x80000103
    ENTER event_type_1
    BREAK ENTRY_INTERRUPTION_INFO, 0x80000701
    ENTER event_trap_vector
    BREAK ENTRY_INTERRUPTION_INFO, 0x80000203
    ENTER event_nmi_vector
    BREAK ENTRY_INTERRUPTION_INFO, 0x80000320
    ENTER event_exception_vector
    BREAK ENTRY_INTERRUPTION_INFO, 0x8000030d
    ENTER event_without_code
    BREAK ENTRY_INTERRUPTION_INFO, 0x80000b06
    ENTER event_with_code
    BREAK ENTRY_INTERRUPTION_INFO, 0x80001306
    ENTER event_reserved
    BREAK ENTRY_INTERRUPTION_INFO, 0x80000b0d
    BREAK ENTRY_EXCEPTION_ERROR_CODE, 0x10000
    ENTER event_wide_code
    BREAK ENTRY_INTERRUPTION_INFO, 0x80000430
    BREAK ENTRY_INSTRUCTION_LENGTH, 16
    ENTER event_length
    RUN                                     // mended
    FINISH
guest:
    LEAVE
