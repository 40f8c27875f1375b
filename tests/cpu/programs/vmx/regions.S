// VMXON and VMCS regions that are none (SDM 3C 25.11.2, chapter 31): outside of memory, in device
// space, beyond the physical-address width, misaligned, with another revision; entries without a
// current VMCS, of a shadow VMCS, in the wrong launch state, behind MOV SS.
//
// fail: invalid at=no_vmcs
// fail: entry_blocked_by_mov_ss at=behind_mov_ss
// fail: vmlaunch_not_clear at=launched_again
// fail: vmresume_not_launched at=cleared
// fail: invalid at=shadow_vmcs
// result: 0=1 1=1 2=1 3=1 4=0x42 5=9 6=9 7=11 8=11 9=11 10=2 11=2 12=0 13=10 14=3 15=0x40
#include "host.inc"
.macro POINT_AT address:vararg
    movabs rax, offset \address
    mov [POINTER], rax
.endm
.macro FLAGS index
    pushfq
    pop rax
    and eax, 0x41
    RESULT \index, rax
.endm
.macro ERROR index
    GET_FIELD VM_INSTRUCTION_ERROR
    RESULT \index, rax
.endm
start:
    call prepare
    vmxoff
    POINT_AT 0x3fffffff000                  // no memory there
    vmxon [POINTER]
    FLAGS 0
    POINT_AT DEVICE
    vmxon [POINTER]
    FLAGS 1
    POINT_AT (1 << 46)
    vmxon [POINTER]
    FLAGS 2
    POINT_AT VMXON_REGION
    xor dword ptr [VMXON_REGION], 2
    vmxon [POINTER]
    FLAGS 3
    xor dword ptr [VMXON_REGION], 2
    vmxon [POINTER]
    ENTER no_vmcs
    POINT_AT VMCS
    vmptrld [POINTER]
    mov qword ptr [DATA + 4 * 8], 0x42
    POINT_AT VMCS + 0x10
    vmptrld [POINTER]
    ERROR 5
    POINT_AT (1 << 46)
    vmptrld [POINTER]
    ERROR 6
    POINT_AT 0x3fffffff000
    vmptrld [POINTER]
    ERROR 7
    POINT_AT DEVICE
    vmptrld [POINTER]
    ERROR 8
    POINT_AT SPARE
    vmptrld [POINTER]
    ERROR 9
    POINT_AT (1 << 52)
    vmclear [POINTER]
    ERROR 10
    POINT_AT VMCS + 1
    vmclear [POINTER]
    ERROR 11
    POINT_AT 0x3fffffff000                  // cleared without effect
    vmclear [POINTER]
    FLAGS 12
    POINT_AT VMXON_REGION
    vmptrld [POINTER]
    ERROR 13
    vmclear [POINTER]
    ERROR 14
    // Launch state and MOV SS.
    mov eax, DATA_FLAT
    mov dword ptr [MARK], offset behind_mov_ss
    jmp 1f
    .balign 16
1:  mov ss, eax
behind_mov_ss:
    vmlaunch
    pushfq
    mov ebx, 2
    call note_exit
    pop rax
    and eax, 0x41
    RESULT 15, rax
    RUN
    mov dword ptr [LAUNCHED], 0
    ENTER launched_again
    POINT_AT VMCS
    vmclear [POINTER]
    vmptrld [POINTER]
    mov dword ptr [LAUNCHED], 1
    ENTER cleared
    POINT_AT OTHER_VMCS
    vmclear [POINTER]
    mov eax, 1
    shl eax, 31
    or [OTHER_VMCS], eax
    vmptrld [POINTER]
    mov dword ptr [LAUNCHED], 0
    ENTER shadow_vmcs
    FINISH
guest:
    LEAVE
