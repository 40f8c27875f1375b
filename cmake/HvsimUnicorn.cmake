# unicorn::unicorn, the static library and headers of Unicorn 2.1.x. Debian 13 has them as a package;
# for Debian 12 scripts/fetch-unicorn unpacks Debian 13's package into HVSIM_UNICORN_ROOT.
set(HVSIM_UNICORN_ROOT ${CMAKE_SOURCE_DIR}/.cache/unicorn/root CACHE PATH "Unpacked libunicorn-dev")
find_path(UNICORN_INCLUDE unicorn/unicorn.h
  PATHS ${HVSIM_UNICORN_ROOT}/usr/include NO_DEFAULT_PATH)
find_library(UNICORN_LIBRARY libunicorn.a
  PATHS ${HVSIM_UNICORN_ROOT}/usr/lib/x86_64-linux-gnu NO_DEFAULT_PATH)
find_path(UNICORN_INCLUDE unicorn/unicorn.h)
find_library(UNICORN_LIBRARY libunicorn.a)
if(NOT UNICORN_INCLUDE OR NOT UNICORN_LIBRARY)
  message(FATAL_ERROR "Unicorn 2.1.x not found: run scripts/fetch-unicorn (or install libunicorn-dev on Debian 13)")
endif()

# The engine layer takes the place of some functions inside the archive (ld's --wrap) and calls
# others; cpu/engine/interpose.cpp says why. Only the static archive lets that happen; a build of it
# that hides these names is found out here, one that behaves differently by the engine's self-test.
set(interposed
  helper_inb helper_inw helper_inl helper_outb helper_outw helper_outl
  helper_syscall helper_sysenter helper_sysret helper_sysexit helper_load_seg helper_ljmp_protected
  helper_lcall_protected helper_iret_protected helper_lret_protected helper_write_crN helper_wrmsr helper_xsetbv
  helper_rdrand unicorn_fill_tlb tb_gen_code gen_intermediate_code tlb_flush
  tcg_gen_exit_tb tcg_gen_qemu_ld_i32 tcg_gen_qemu_ld_i64 tcg_gen_qemu_st_i32 tcg_gen_qemu_st_i64
  tlb_reset_dirty_by_vaddr memory_region_dispatch_read memory_region_dispatch_write
  translator_loop cpu_ldub_code cpu_check_watchpoint cpu_watchpoint_address_matches)
foreach(access ret_ldub le_lduw le_ldul le_ldq be_lduw be_ldul be_ldq
               ret_stb le_stw le_stl le_stq be_stw be_stl be_stq)
  list(APPEND interposed helper_${access}_mmu)
endforeach()
foreach(operation add_fetch and_fetch or_fetch xor_fetch fetch_add fetch_and fetch_or fetch_xor xchg
                  cmpxchg)
  list(APPEND interposed tcg_gen_atomic_${operation}_i64)
endforeach()
set(called cpu_vmexit tcg_func_start tcg_gen_lookup_and_goto_ptr tlb_set_page tlb_flush_page tb_invalidate_phys_range)
set(probe "")
set(addresses "")
foreach(name ${interposed} ${called})
  string(APPEND probe "extern \"C\" void ${name}_x86_64();\n")
  string(APPEND addresses "reinterpret_cast<void*>(&${name}_x86_64), ")
endforeach()
string(APPEND probe "int main() { void* volatile all[] = {${addresses}}; return all[0] == nullptr; }\n")
set(CMAKE_REQUIRED_LIBRARIES ${UNICORN_LIBRARY} Threads::Threads m)
check_cxx_source_compiles("${probe}" HVSIM_UNICORN_INTERPOSABLE)
unset(CMAKE_REQUIRED_LIBRARIES)
if(NOT HVSIM_UNICORN_INTERPOSABLE)
  unset(HVSIM_UNICORN_INTERPOSABLE CACHE)  # ask again next time
  message(FATAL_ERROR "${UNICORN_LIBRARY} lacks functions that the engine layer needs: "
    "use the static library of Unicorn 2.1.1 to 2.1.4 (scripts/fetch-unicorn)")
endif()

add_library(unicorn::unicorn INTERFACE IMPORTED)
target_include_directories(unicorn::unicorn SYSTEM INTERFACE ${UNICORN_INCLUDE})
target_link_libraries(unicorn::unicorn INTERFACE ${UNICORN_LIBRARY} Threads::Threads m)
# cpu/engine/host_wrappers.cpp has the wrappers of the host's functions. They come into every program
# that links the library, because --wrap redirects that program's own calls too.
foreach(name mmap mmap64 gettimeofday sin cos tan sincos pow log atan2 abort __assert_fail)
  target_link_options(unicorn::unicorn INTERFACE LINKER:--wrap=${name})
endforeach()
foreach(name ${interposed})
  target_link_options(unicorn::unicorn INTERFACE LINKER:--wrap=${name}_x86_64)
endforeach()
target_link_options(unicorn::unicorn INTERFACE
  LINKER:--undefined=__wrap_mmap64 LINKER:--undefined=__wrap_tlb_flush_x86_64
  LINKER:--undefined=__wrap_tb_gen_code_x86_64 LINKER:--undefined=__wrap_helper_ret_ldub_mmu_x86_64)
# ld resolves wrapped names only in objects that it sees as such. What calls the library's own as its
# last act must jump there: that looks for its caller among the translated code.
set_source_files_properties(cpu/engine/host_wrappers.cpp cpu/engine/interpose.cpp
  cpu/engine/interpose_access.cpp cpu/engine/interpose_translation.cpp
  PROPERTIES COMPILE_OPTIONS "-fno-lto;-O2;-foptimize-sibling-calls")
