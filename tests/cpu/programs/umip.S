// User-mode instruction prevention (SDM 3A 2.5, CR4.UMIP): without it user code sees where the
// tables are, with it #GP.
#include "machine.inc"

    .set UMIP, 11

start:
    TO_USER user_free, prevent
user_free:
    sidt [DATA]
    sgdt [DATA + 16]
    sldt ax
    str ax
    smsw eax
    mov dword ptr [DATA + 32], 1
    LEAVE_USER
prevent:
    mov rax, cr4
    bts rax, UMIP
    mov cr4, rax
    sidt [DATA + 64]                    // the kernel may
    smsw eax
    str ax
    TO_USER user_kept, done
user_kept:
    TRY user_sidt, sidt [DATA]
    TRY user_sgdt, sgdt [DATA]
    TRY user_sldt, sldt ax
    TRY user_str, str ax
    TRY user_smsw, smsw eax
    TRY user_smsw_memory, smsw [DATA]
    TRY user_str_memory, str [DATA]
    LEAVE_USER
done:
    mov rax, cr4
    btr rax, UMIP
    mov cr4, rax
    TO_USER user_free_again, end
user_free_again:
    str ax
    movzx eax, ax
    RESULT 5, rax
    LEAVE_USER
end:
    FINISH
