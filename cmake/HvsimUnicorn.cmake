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
add_library(unicorn::unicorn INTERFACE IMPORTED)
target_include_directories(unicorn::unicorn SYSTEM INTERFACE ${UNICORN_INCLUDE})
target_link_libraries(unicorn::unicorn INTERFACE ${UNICORN_LIBRARY} Threads::Threads m)
