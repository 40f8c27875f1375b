# hvsim_room(<name> [DIR <folder>] [SYSTEMC] [ROOMS <lower rooms>...] [LIBS <imported targets>...])
#
# Makes from a room's folder the static libraries hvsim_<name> (plain models) and, where the folder
# has a tlm/ subfolder, hvsim_<name>_tlm (the SystemC shells), and from tests/<folder>/ the program
# test_<name>, one CTest entry for each doctest test suite file. Sources are globbed: adding a file
# needs no edit here. SYSTEMC: the room itself is built on the SystemC shells (the composition root).
# Tests in tests/<folder>/programs/ run the guest programs there and in its folders (*.S), which are
# assembled into guest-programs/ of the build folder.
function(hvsim_warnings target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wno-unused-parameter)
  if(HVSIM_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
endfunction()

# Each source becomes one freestanding ELF file, linked where the tests load it.
function(hvsim_guest_programs target base)
  set(folder ${CMAKE_BINARY_DIR}/guest-programs)
  foreach(source ${ARGN})
    file(RELATIVE_PATH stem ${base} ${source})
    string(REGEX REPLACE "\\.S$" "" stem ${stem})
    get_filename_component(subfolder ${folder}/${stem} DIRECTORY)
    file(MAKE_DIRECTORY ${subfolder})
    add_custom_command(OUTPUT ${folder}/${stem}.elf
      COMMAND ${CMAKE_ASM_COMPILER} -nostdlib -static -no-pie -Wl,-N -Wl,--no-warn-rwx-segments
              -Wl,--build-id=none -Wl,-Ttext=0x8000 -Wl,-e,start -I${CMAKE_SOURCE_DIR}
              -MD -MF ${folder}/${stem}.d -MT ${folder}/${stem}.elf -o ${folder}/${stem}.elf ${source}
      DEPENDS ${source} DEPFILE ${folder}/${stem}.d
      COMMENT "Building guest program ${stem}" VERBATIM)
    list(APPEND programs ${folder}/${stem}.elf)
  endforeach()
  add_custom_target(${target}_programs DEPENDS ${programs})
  add_dependencies(${target} ${target}_programs)
endfunction()

function(hvsim_room name)
  cmake_parse_arguments(ROOM "SYSTEMC" "DIR" "ROOMS;LIBS" ${ARGN})
  if(NOT ROOM_DIR)
    set(ROOM_DIR ${name})
  endif()
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${ROOM_DIR}/*.cpp)
  list(FILTER sources EXCLUDE REGEX "/fuzz/|/main\\.cpp$")
  if(name STREQUAL "cpu")
    list(FILTER sources EXCLUDE REGEX "/cpu/engine/")
  endif()
  set(tlm_sources ${sources})
  list(FILTER tlm_sources INCLUDE REGEX "/tlm/")
  list(FILTER sources EXCLUDE REGEX "/tlm/")
  list(TRANSFORM ROOM_ROOMS PREPEND hvsim_)

  set(kind PUBLIC)
  if(sources)
    add_library(hvsim_${name} STATIC ${sources})
    hvsim_warnings(hvsim_${name})
  else()
    add_library(hvsim_${name} INTERFACE)
    set(kind INTERFACE)
  endif()
  target_include_directories(hvsim_${name} ${kind} ${CMAKE_SOURCE_DIR})
  target_link_libraries(hvsim_${name} ${kind} ${ROOM_ROOMS} ${ROOM_LIBS})

  if(ROOM_SYSTEMC)
    target_link_libraries(hvsim_${name} ${kind} SystemC::systemc)
    foreach(room ${ROOM_ROOMS})
      if(TARGET ${room}_tlm)
        target_link_libraries(hvsim_${name} ${kind} ${room}_tlm)
      endif()
    endforeach()
  endif()

  set(test_libraries hvsim_${name})
  if(tlm_sources)
    add_library(hvsim_${name}_tlm STATIC ${tlm_sources})
    hvsim_warnings(hvsim_${name}_tlm)
    target_link_libraries(hvsim_${name}_tlm PUBLIC hvsim_${name} SystemC::systemc)
    list(APPEND test_libraries hvsim_${name}_tlm)
  endif()

  if(HVSIM_TESTS)
    file(GLOB tests CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/${ROOM_DIR}/*.cpp
         ${CMAKE_SOURCE_DIR}/tests/${ROOM_DIR}/programs/*.cpp)
    file(GLOB programs CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/${ROOM_DIR}/programs/*.S
         ${CMAKE_SOURCE_DIR}/tests/${ROOM_DIR}/programs/*/*.S)
    if(tests)
      add_executable(test_${name} ${tests} ${CMAKE_SOURCE_DIR}/tests/doctest_main.cpp)
      hvsim_warnings(test_${name})
      target_link_libraries(test_${name} PRIVATE ${test_libraries} doctest::doctest)
      # Most of a build's time goes into tests; what they test is optimised, they need not be.
      target_compile_options(test_${name} PRIVATE $<$<CONFIG:Release>:-O1>)
      target_compile_definitions(test_${name} PRIVATE DOCTEST_CONFIG_SUPER_FAST_ASSERTS)
      target_compile_definitions(test_${name} PRIVATE
        HVSIM_SOURCE_DIR="${CMAKE_SOURCE_DIR}" HVSIM_BINARY_DIR="${CMAKE_BINARY_DIR}")
      if(programs)
        hvsim_guest_programs(test_${name} ${CMAKE_SOURCE_DIR}/tests/${ROOM_DIR}/programs ${programs})
      endif()
      foreach(test ${tests})
        get_filename_component(stem ${test} NAME_WE)
        add_test(NAME ${name}.${stem} COMMAND test_${name} --source-file=*/${stem}.cpp)
        set_tests_properties(${name}.${stem} PROPERTIES TIMEOUT 300 LABELS quick)
      endforeach()
    endif()
  endif()
endfunction()
