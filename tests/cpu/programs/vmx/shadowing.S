// VMCS shadowing (SDM 3C 25.10, 26.1.3): bitmaps decide which fields of a guest's VMREAD and VMWRITE
// go to the shadow VMCS that the link pointer names; posted interrupts without an exit (30.6).
//
// exit: vmread GUEST_RIP=not_shadowed
// exit: vmwrite GUEST_RIP=write_not_shadowed
// exit: vmread GUEST_RIP=too_large
// result: 0=0x1234 1=0x5678 2=1 3=0
// event: vector=0x34 rip=behind_posted
#include "host.inc"
    .set BITMAPS, SPARE
    .set DESCRIPTOR, SPARE + 0x2000
start:
    call prepare
    // The shadow VMCS is filled as an ordinary one.
    mov qword ptr [POINTER], OTHER_VMCS
    vmclear [POINTER]
    vmptrld [POINTER]
    SET_FIELD GUEST_SYSENTER_ESP, 0x1234
    vmclear [POINTER]
    mov eax, 1
    shl eax, 31
    or [OTHER_VMCS], eax
    mov qword ptr [POINTER], VMCS
    vmptrld [POINTER]
    SET_PRIMARY SECONDARY
    SET_SECONDARY 1 << 14
    SET_FIELD VMCS_LINK_POINTER, OTHER_VMCS
    SET_FIELD VMREAD_BITMAP_ADDRESS, BITMAPS
    SET_FIELD VMWRITE_BITMAP_ADDRESS, BITMAPS + 0x1000
    mov byte ptr [BITMAPS + GUEST_RIP / 8], 1 << (GUEST_RIP & 7)
    mov byte ptr [BITMAPS + 0x1000 + GUEST_RSP / 8], 1 << (GUEST_RSP & 7)
    RUN
    mov qword ptr [POINTER], OTHER_VMCS
    vmptrld [POINTER]
    GET_FIELD GUEST_SYSENTER_EIP
    RESULT 1, rax
    vmclear [POINTER]
    mov qword ptr [POINTER], VMCS
    vmptrld [POINTER]
    mov eax, 1
    RESULT 2, rax
    // Posted interrupts: the notification vector 0x39 brings vector 0x34.
    SET_FIELD VMCS_LINK_POINTER, -1
    SET_PIN 1 + (1 << 7)
    SET_EXIT 1 << 15
    SET_PRIMARY (1 << 21) + SECONDARY
    SET_SECONDARY 1 << 9
    SET_FIELD POSTED_INTERRUPT_NOTIFICATION_VECTOR, 0x39
    SET_FIELD POSTED_INTERRUPT_DESCRIPTOR_ADDRESS, DESCRIPTOR
    mov dword ptr [DESCRIPTOR + 4], 1 << (0x34 - 32)
    mov dword ptr [DESCRIPTOR + 32], 1
    RUN posted
    mov eax, [DESCRIPTOR + 32]
    RESULT 3, rax
    FINISH
guest:
    mov edx, GUEST_SYSENTER_ESP
    vmread rax, rdx
    RESULT 0, rax
    mov edx, GUEST_RIP
not_shadowed:
    vmread rax, rdx
    mov edx, GUEST_SYSENTER_EIP
    mov eax, 0x5678
    vmwrite rdx, rax
    mov edx, GUEST_RSP
write_not_shadowed:
    vmwrite rdx, rax
    mov edx, 0x12345
too_large:
    vmread rax, rdx
    LEAVE
posted:
    mov ebp, LOCAL_APIC
    mov dword ptr [rbp + 0x310], 0
    mov dword ptr [rbp + 0x300], 0x44039
    nop
    sti
    nop
behind_posted:
    cli
    LEAVE
