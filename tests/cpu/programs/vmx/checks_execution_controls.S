// VM-execution controls that an entry refuses (SDM 3C 27.2.1.1).
//
// fail: entry_invalid_controls rule=101 at=pin_reserved
// fail: entry_invalid_controls rule=101 at=pin_must_be_one
// fail: entry_invalid_controls rule=102 at=primary_must_be_one
// fail: entry_invalid_controls rule=103 at=secondary_reserved
// fail: entry_invalid_controls rule=104 at=cr3_targets
// fail: entry_invalid_controls rule=105 at=io_bitmap_a
// fail: entry_invalid_controls rule=106 at=io_bitmap_b
// fail: entry_invalid_controls rule=107 at=msr_bitmap
// fail: entry_invalid_controls rule=108 at=virtual_nmis
// fail: entry_invalid_controls rule=109 at=nmi_window
// fail: entry_invalid_controls rule=110 at=vpid_zero
// fail: entry_invalid_controls rule=111 at=ept_type
// fail: entry_invalid_controls rule=112 at=ept_levels
// fail: entry_invalid_controls rule=113 at=ept_reserved
// fail: entry_invalid_controls rule=113 at=ept_width
// fail: entry_invalid_controls rule=114 at=unrestricted_without_ept
// fail: entry_invalid_controls rule=129 at=virtual_apic
// fail: entry_invalid_controls rule=130 at=threshold_reserved
// fail: entry_invalid_controls rule=131 at=threshold_above
// fail: entry_invalid_controls rule=132 at=x2apic_without_shadow
// fail: entry_invalid_controls rule=133 at=apic_access
// fail: entry_invalid_controls rule=134 at=both_apics
// fail: entry_invalid_controls rule=135 at=delivery_alone
// fail: entry_invalid_controls rule=136 at=posted_alone
// fail: entry_invalid_controls rule=137 at=posted_unacknowledged
// fail: entry_invalid_controls rule=140 at=page_log
// fail: entry_invalid_controls rule=141 at=functions_reserved
// fail: entry_invalid_controls rule=142 at=switching_without_ept
// fail: entry_invalid_controls rule=143 at=eptp_list
// fail: entry_invalid_controls rule=144 at=shadow_bitmaps
// fail: entry_invalid_controls rule=138 at=posted_vector
// fail: entry_invalid_controls rule=139 at=posted_descriptor
#include "host.inc"
start:
    call prepare
    BREAK PIN_BASED_CONTROLS, 0x116
    ENTER pin_reserved
    BREAK PIN_BASED_CONTROLS, 0
    ENTER pin_must_be_one
    BREAK PRIMARY_CONTROLS, 0
    ENTER primary_must_be_one
    BREAK PRIMARY_CONTROLS, 0x8401e172
    BREAK SECONDARY_CONTROLS, 0x80000000
    ENTER secondary_reserved
    BREAK CR3_TARGET_COUNT, 5
    ENTER cr3_targets
    BREAK PRIMARY_CONTROLS, 0x0601e172
    BREAK IO_BITMAP_A, 0x1001
    ENTER io_bitmap_a
    BREAK PRIMARY_CONTROLS, 0x0601e172
    BREAK IO_BITMAP_B, 1 << 46
    ENTER io_bitmap_b
    BREAK PRIMARY_CONTROLS, 0x1401e172
    BREAK MSR_BITMAPS, -1
    ENTER msr_bitmap
    BREAK PIN_BASED_CONTROLS, 0x36
    ENTER virtual_nmis
    BREAK PRIMARY_CONTROLS, 0x0441e172
    ENTER nmi_window
    BREAK PRIMARY_CONTROLS, 0x8401e172
    BREAK SECONDARY_CONTROLS, 1 << 5
    ENTER vpid_zero
    BREAK PRIMARY_CONTROLS, 0x8401e172
    BREAK SECONDARY_CONTROLS, 2
    BREAK EPT_POINTER, 0x1001b
    ENTER ept_type
    BREAK PRIMARY_CONTROLS, 0x8401e172
    BREAK SECONDARY_CONTROLS, 2
    BREAK EPT_POINTER, 0x10016
    ENTER ept_levels
    BREAK PRIMARY_CONTROLS, 0x8401e172
    BREAK SECONDARY_CONTROLS, 2
    BREAK EPT_POINTER, 0x1009e
    ENTER ept_reserved
    BREAK PRIMARY_CONTROLS, 0x8401e172
    BREAK SECONDARY_CONTROLS, 2
    BREAK EPT_POINTER, (1 << 46) + 0x1e
    ENTER ept_width
    BREAK PRIMARY_CONTROLS, 0x8401e172
    BREAK SECONDARY_CONTROLS, 1 << 7
    ENTER unrestricted_without_ept
    BREAK PRIMARY_CONTROLS, 0x0421e172
    BREAK VIRTUAL_APIC_ADDRESS, 8
    ENTER virtual_apic
    BREAK PRIMARY_CONTROLS, 0x0421e172
    BREAK TPR_THRESHOLD, 0x10
    ENTER threshold_reserved
    BREAK PRIMARY_CONTROLS, 0x0421e172
    BREAK TPR_THRESHOLD, 1
    ENTER threshold_above
    BREAK PRIMARY_CONTROLS, 0x8401e172
    BREAK SECONDARY_CONTROLS, 1 << 4
    ENTER x2apic_without_shadow
    BREAK PRIMARY_CONTROLS, 0x8401e172
    BREAK SECONDARY_CONTROLS, 1
    BREAK APIC_ACCESS_ADDRESS, 0x800
    ENTER apic_access
    BREAK PRIMARY_CONTROLS, 0x8421e172
    BREAK SECONDARY_CONTROLS, 0x11
    ENTER both_apics
    BREAK PRIMARY_CONTROLS, 0x8421e172
    BREAK SECONDARY_CONTROLS, 1 << 9
    ENTER delivery_alone
    BREAK PIN_BASED_CONTROLS, 0x97
    ENTER posted_alone
    BREAK PIN_BASED_CONTROLS, 0x97
    BREAK PRIMARY_CONTROLS, 0x8421e172
    BREAK SECONDARY_CONTROLS, 1 << 9
    ENTER posted_unacknowledged
    BREAK PRIMARY_CONTROLS, 0x8401e172
    BREAK SECONDARY_CONTROLS, 0x20002
    BREAK PML_ADDRESS, 0x10
    ENTER page_log
    BREAK PRIMARY_CONTROLS, 0x8401e172
    BREAK SECONDARY_CONTROLS, 1 << 13
    BREAK VM_FUNCTION_CONTROLS, 2
    ENTER functions_reserved
    BREAK PRIMARY_CONTROLS, 0x8401e172
    BREAK SECONDARY_CONTROLS, 1 << 13
    BREAK VM_FUNCTION_CONTROLS, 1
    ENTER switching_without_ept
    BREAK PRIMARY_CONTROLS, 0x8401e172
    BREAK SECONDARY_CONTROLS, 0x2002
    BREAK VM_FUNCTION_CONTROLS, 1
    BREAK EPTP_LIST_ADDRESS, 1
    ENTER eptp_list
    BREAK PRIMARY_CONTROLS, 0x8401e172
    BREAK SECONDARY_CONTROLS, 1 << 14
    BREAK VMREAD_BITMAP_ADDRESS, 1
    ENTER shadow_bitmaps
    BREAK PIN_BASED_CONTROLS, 0x97
    BREAK PRIMARY_CONTROLS, 0x8421e172
    BREAK SECONDARY_CONTROLS, 1 << 9
    BREAK EXIT_CONTROLS, 0x33effb
    BREAK POSTED_INTERRUPT_NOTIFICATION_VECTOR, 0x100
    ENTER posted_vector
    BREAK PIN_BASED_CONTROLS, 0x97
    BREAK PRIMARY_CONTROLS, 0x8421e172
    BREAK SECONDARY_CONTROLS, 1 << 9
    BREAK EXIT_CONTROLS, 0x33effb
    BREAK POSTED_INTERRUPT_DESCRIPTOR_ADDRESS, 0x20
    ENTER posted_descriptor
    RUN                                     // mended
    FINISH
guest:
    LEAVE
